"""From the words of a task to the skill that fits and the inputs they give."""
