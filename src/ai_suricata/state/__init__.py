"""What must outlive a restart: behaviour with its position, and the ledger."""
