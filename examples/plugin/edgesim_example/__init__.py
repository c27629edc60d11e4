"""Plug-ins for edgesim; each module holds one."""
