# cli: ktsh.
