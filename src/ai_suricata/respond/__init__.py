"""From verdicts to decisions on the firewall: never-block, policy, ledger, enforcement."""
