package words

// Templates are the texts of ours that are recognized.
func Templates() (list []string) {
	for _, t := range append(append([]template{}, ofLine...), ours...) {
		list = append(list, t.written)
	}
	return list
}

// MadeOf reports whether a text, or what follows the line in it, is made of a template.
func MadeOf(text, template string) bool {
	for at := range text {
		if (at == 0 || at > 2 && text[at-2:at] == ": ") && said()[template].MatchString(text[at:]) {
			return true
		}
	}
	return false
}
