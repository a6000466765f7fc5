"""The routes, one noun a file: each checks what comes in, asks the workspace on another thread, answers."""
