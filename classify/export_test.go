package classify

// FoldEffects lets the tests have the table of what parts make of a whole.
var FoldEffects = foldEffects
