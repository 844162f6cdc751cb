// Package codec encrypts what Temporal stores.
//
// Inputs, results, heartbeats, memos, summaries and the words of failures leave a process
// encrypted with AES-256-GCM, and are decrypted where they come back: [Keys.Secure] does
// both for a client, below everything that uses it. So the rest of the module, and every
// payload that it reads from a raw answer, knows nothing of it. Search attributes, IDs,
// names of workflows and activities, and the type of a failure stay clear: Temporal
// searches and decides by them.
//
// A payload names its key. So keys can be renewed: one encrypts, any number decrypt, and
// what was not encrypted, or was before, is read as it is.
//
// A task that a worker cannot read is given back (see [Keys.Secure]), because it would cost
// an invocation one of its attempts. That is the second line: the first is that nobody
// encrypts with a key that a worker lacks, which package runlog keeps track of.
//
// No error and no log line shows a key.
package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// What an encrypted payload says of itself, by the convention of Temporal's samples. The
// whole payload that is meant, with its metadata, is in its data: a nonce of 12 bytes, the
// ciphertext, and a tag of 16 bytes, which covers the metadata too.
const (
	MetadataKeyID = "encryption-key-id"
	Encoding      = "binary/encrypted"
)

// Keys encrypt with one key and decrypt with each. They are a [converter.PayloadCodec]. The
// zero value, and nil, have no key: they encrypt nothing and decrypt nothing.
type Keys struct {
	current string // the ID of the key that encrypts; "" for none
	of      map[string]key
}

var _ converter.PayloadCodec = (*Keys)(nil)

type key struct {
	gcm   cipher.AEAD
	check string // tells two keys with the same ID apart, and says nothing of either
}

// KeySize is the length of a key in bytes.
const KeySize = 32

// New returns keys of 32 bytes by their IDs. current is the ID of the one that encrypts, "" if
// none does.
func New(current string, byID map[string][]byte) (*Keys, error) {
	k := &Keys{current: current, of: make(map[string]key)}
	for id, secret := range byID {
		if len(secret) != KeySize {
			return nil, fmt.Errorf("payload key %s: has %d bytes; want %d", id, len(secret), KeySize)
		}
		block, err := aes.NewCipher(secret)
		if err != nil {
			return nil, fmt.Errorf("payload key %s: %w", id, err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("payload key %s: %w", id, err)
		}
		sum := sha256.Sum256(append([]byte("ledgerline payload key\x00"), secret...))
		k.of[id] = key{gcm, fmt.Sprintf("%x", sum[:4])}
	}
	if _, ok := k.of[current]; !ok && current != "" {
		return nil, fmt.Errorf("payload key %s is to encrypt and is not among the keys: %v", current, k.IDs())
	}
	return k, nil
}

// IDs are the IDs of all keys, in order.
func (k *Keys) IDs() []string {
	if k == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(k.of))
}

// Names are "ID/check" of all keys, in order: check is the same only for the same key. They
// are no secrets.
func (k *Keys) Names() []string {
	names := []string{}
	for _, id := range k.IDs() {
		names = append(names, id+"/"+k.of[id].check)
	}
	return names
}

// Words writes names of keys, as [Keys.Names] has them, for people.
func Words(names ...string) string {
	var list []string
	for _, name := range names {
		id, check, _ := strings.Cut(name, "/")
		list = append(list, fmt.Sprintf("key %s (%s)", id, check))
	}
	return strings.Join(list, ", ")
}

// Current is the name of the key that encrypts, as [Keys.Names] has it; "" if none does.
func (k *Keys) Current() string {
	if k == nil || k.current == "" {
		return ""
	}
	return k.current + "/" + k.of[k.current].check
}

// UnknownKeyError is a payload whose key is not there.
type UnknownKeyError struct{ ID string }

// Error says what to do.
func (e *UnknownKeyError) Error() string {
	return fmt.Sprintf("a payload is encrypted with key %.100q, which is not there: put it into LEDGERLINE_PAYLOAD_KEYS", e.ID)
}

// ErrTampered is a payload that is not what was encrypted.
var ErrTampered = errors.New("it was changed, cut off, or encrypted with another key of that ID")

// covered is what the tag covers besides the data.
func covered(id string) []byte { return []byte(Encoding + "\x00" + id) }

// Encode implements [converter.PayloadCodec]. What is encrypted already stays as it is.
func (k *Keys) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	if k == nil || k.current == "" {
		return payloads, nil
	}
	gcm, out := k.of[k.current].gcm, make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		if encrypted(p) {
			out[i] = p
			continue
		}
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encrypt a payload: %w", err)
		}
		nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(plain)+gcm.Overhead())
		_, _ = rand.Read(nonce) // it never fails: the program ends instead
		out[i] = &common.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding), MetadataKeyID: []byte(k.current)},
			Data:     gcm.Seal(nonce, nonce, plain, covered(k.current)),
		}
	}
	return out, nil
}

// Decode implements [converter.PayloadCodec]. What is not encrypted stays as it is. An error is
// an [*UnknownKeyError] or [ErrTampered].
func (k *Keys) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	out := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		if out[i] = p; !encrypted(p) {
			continue
		}
		var err error
		if out[i], err = k.decrypt(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (k *Keys) decrypt(p *common.Payload) (*common.Payload, error) {
	id := string(p.GetMetadata()[MetadataKeyID])
	var with key
	if k != nil {
		with = k.of[id]
	}
	if with.gcm == nil {
		return nil, &UnknownKeyError{id}
	}
	data, n := p.GetData(), with.gcm.NonceSize()
	if len(data) < n {
		return nil, fmt.Errorf("a payload encrypted with key %s cannot be read: %w", id, ErrTampered)
	}
	plain, err := with.gcm.Open(nil, data[:n], data[n:], covered(id))
	var out common.Payload
	if err == nil {
		err = proto.Unmarshal(plain, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("a payload encrypted with key %s cannot be read: %w", id, ErrTampered)
	}
	return &out, nil
}

func encrypted(p *common.Payload) bool {
	return string(p.GetMetadata()[converter.MetadataEncoding]) == Encoding
}
