"""Several runs of one kind of task: which belong together, how they line up, what differs between them."""
