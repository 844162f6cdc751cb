package integrations

import (
	"fmt"

	"github.com/google/uuid"
)

// NamedFile is what a file has, and its name, for messages.
type NamedFile struct {
	Name string
	File
}

// Join makes one of several files, which can have integrations of the same organization. What
// would make the order of the files decide is refused, with the names of both: an organization
// with other names or a second notifications section, an ID or a short name that is there twice.
func Join(files []NamedFile) (all File, err error) {
	all.Channels = make(map[uuid.UUID][]Channel)
	notified, names, shorts, ids := map[uuid.UUID]string{}, map[uuid.UUID]namedIn{}, map[string]namedIn{}, map[uuid.UUID]integrationIn{}
	for _, f := range files {
		for _, o := range f.Organizations {
			if before, ok := names[o.ID]; ok && before.Organization != o {
				return all, fmt.Errorf("organization %s is %s in %s and %s in %s; write the same names in both, or in one of them only its UUID", o.ID, before.words(), before.file, o.words(), f.Name)
			} else if ok {
				continue
			}
			if other, ok := shorts[o.Short]; ok {
				return all, fmt.Errorf("organizations %s in %s and %s in %s have the same short name %q; choose another for one of them", other.ID, other.file, o.ID, f.Name, o.Short)
			}
			names[o.ID], shorts[o.Short] = namedIn{o, f.Name}, namedIn{o, f.Name}
			all.Organizations = append(all.Organizations, o)
		}
		for organization, channels := range f.Channels {
			if other, twice := notified[organization]; twice {
				return all, fmt.Errorf("organization %s has a notifications section in %s and in %s; put all of its channels in one", organization, other, f.Name)
			}
			notified[organization], all.Channels[organization] = f.Name, channels
		}
		for _, in := range f.Integrations {
			if other, twice := ids[in.ID]; twice {
				return all, fmt.Errorf("integrations %s in %s and %s in %s have the same ID %s; give one of them another", other.name, other.file, in.Name, f.Name, in.ID)
			}
			ids[in.ID] = integrationIn{in.Name, f.Name}
			all.Integrations = append(all.Integrations, in)
		}
	}
	return all, nil
}

type (
	namedIn struct {
		Organization
		file string
	}
	integrationIn struct{ name, file string }
)

// words are an organization's names in a message.
func (o Organization) words() string { return fmt.Sprintf("%s (%s)", o.Short, o.Name) }
