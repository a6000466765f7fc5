"""Several skills wired into one."""
