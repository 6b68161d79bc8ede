"""Telling people of blocks and troubles: a webhook and e-mail, none of which anybody waits for."""
