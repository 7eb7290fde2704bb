"""Who is asking: one file a kind, one small protocol (`signer.callers.caller`)."""
