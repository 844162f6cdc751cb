package zones

// Names are all names, for a test that loads each.
var Names = names
