"""How often forms are given out: token buckets in this process, or shared through Redis by several signers."""
