"""Changes while the signer runs: watch a store, reload, last good copy."""
