"""Looks at all that the daemon needs, changes nothing, and says in words what is wrong."""
