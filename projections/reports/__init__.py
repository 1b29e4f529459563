"""Reports for people: a round, a firm, a bank, a guarantor, caps nearly used, who did what, what was paid twice."""
