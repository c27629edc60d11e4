"""Networks that users bring as files: configurations, weights, programs and graphs of other tools."""
