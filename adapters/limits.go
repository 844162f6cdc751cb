package adapters

// maxChunk is the most entries that one request of an adapter carries. The
// adapters' own [Limits] say the same; a file is checked where they are not
// known.
var maxChunk = map[string]int{
	"xledger":         500, // nodes in a mutation
	"businesscentral": 100, // operations in a $batch
	"dataverse":       500, // operations in a change set
}

// MaxChunk is the most entries that an adapter sends in one request; 0 if it
// takes no exports.
func MaxChunk(adapter string) int { return maxChunk[adapter] }
