"""What comes in and goes out: sockets, HTTP, admission, faults and the call ledger."""
