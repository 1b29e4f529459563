"""Evidence packs: what an auditor takes away and checks without us. pack.py makes one, kejin-verify.py checks it."""
