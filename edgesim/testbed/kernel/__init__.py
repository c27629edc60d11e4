"""What the kernel is asked for: token buckets, and media that are made of one."""
