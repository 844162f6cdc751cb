// Package graphqlserver is an Xledger of which nobody here wrote the GraphQL part:
// a parser, a validator and an executor of others (graphql-go/graphql), and type
// names and scalars that are drawn for each server. Only the books behind it are ours. It
// shows whether exports work with what a vendor says of itself, or
// only with what we believe of it.
package graphqlserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
)

// Token is what a server takes.
var Token = strings.Join([]string{"another", "servers", "token"}, "-")

// Item is an import item as it was stored.
type Item struct {
	ID                                                int
	ExtIdentifier, TrRegNumber, Amount, Account, Text string
	PostedDate                                        string
}

// Server is one. It is safe for concurrent use.
type Server struct {
	// Types describes what was drawn, for messages.
	Types string
	// NoIntrospection refuses questions about the schema.
	NoIntrospection bool

	draw   *rand.Rand
	schema graphql.Schema

	mu       sync.Mutex
	items    []Item
	requests int
}

// New returns a server whose types are drawn by a seed.
func New(seed uint64) *Server {
	s := &Server{draw: rand.New(rand.NewPCG(seed, 7))}
	s.build()
	return s
}

// Items returns what was stored.
func (s *Server) Items() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items)
}

// Requests returns how many came.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "token "+Token {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"message":"Unauthorized"}]}`)
		return
	}
	var q struct {
		Query, OperationName string
		Variables            map[string]any
	}
	if json.NewDecoder(r.Body).Decode(&q) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if s.NoIntrospection && (strings.Contains(q.Query, "__schema") || strings.Contains(q.Query, "__type(")) {
		fmt.Fprint(w, `{"errors":[{"message":"introspection is not allowed"}]}`)
		return
	}
	_ = json.NewEncoder(w).Encode(graphql.Do(graphql.Params{Schema: s.schema, RequestString: q.Query, OperationName: q.OperationName, VariableValues: q.Variables, Context: r.Context()}))
}

// name draws a type's name that ends in a word, or not.
func (s *Server) name(word string) string {
	const letters = "BCDFGHJKLMNPQRSVWXZ" // no word of them
	var b strings.Builder
	for range 3 + s.draw.IntN(4) {
		b.WriteByte(letters[s.draw.IntN(len(letters))])
	}
	return "Q" + b.String() + word
}

// scalar makes a scalar that takes texts, numbers or both.
func (s *Server) scalar(word string, texts, numbers bool) *graphql.Scalar {
	parse := func(v ast.Value) any {
		switch v := v.(type) {
		case *ast.StringValue:
			if texts {
				return v.Value
			}
		case *ast.IntValue:
			if numbers {
				return v.Value
			}
		case *ast.FloatValue:
			if numbers {
				return v.Value
			}
		}
		return nil // the validator takes it for an invalid value
	}
	same := func(v any) any { return v }
	return graphql.NewScalar(graphql.ScalarConfig{Name: s.name(word), Serialize: same, ParseValue: same, ParseLiteral: parse})
}

func (s *Server) pick(of ...*graphql.Scalar) *graphql.Scalar {
	t := of[s.draw.IntN(len(of))]
	s.Types += " " + t.Name()
	return t
}

// maybe wraps a type as required, or not.
func (s *Server) maybe(t graphql.Type) graphql.Type {
	if s.draw.IntN(2) == 0 {
		return t
	}
	return graphql.NewNonNull(t)
}

func (s *Server) build() {
	amount := s.pick(graphql.String, graphql.Float, s.scalar("Decimal", false, true), s.scalar("MoneyString", true, false), s.scalar("Amount", true, true), s.scalar("", true, true))
	number := s.pick(graphql.Int, graphql.String, graphql.ID, s.scalar("Long", false, true), s.scalar("NumberText", true, false))
	date := s.pick(graphql.String, s.scalar("DateString", true, false), s.scalar("", true, false))
	code := s.pick(graphql.String, graphql.ID, graphql.Int, s.scalar("AccountNumber", true, false), s.scalar("Int", true, false))
	key, client := s.pick(graphql.String, graphql.ID), s.pick(graphql.String, graphql.ID, graphql.Int)

	field := func(t graphql.Type) *graphql.InputObjectFieldConfig { return &graphql.InputObjectFieldConfig{Type: t} }
	coded := graphql.NewInputObject(graphql.InputObjectConfig{Name: s.name("Input"), Fields: graphql.InputObjectConfigFieldMap{"code": field(s.maybe(code)), "dbId": field(graphql.Int)}})
	nodeIn := graphql.NewInputObject(graphql.InputObjectConfig{Name: s.name("Node"), Fields: graphql.InputObjectConfigFieldMap{
		"extIdentifier": field(key), "trRegNumber": field(number), "postedDate": field(s.maybe(date)), "amount": field(s.maybe(amount)),
		"account": field(s.maybe(coded)), "text": field(graphql.String), "glObject1": field(coded), "invoiceAmount": field(amount),
	}})
	input := graphql.NewInputObject(graphql.InputObjectConfig{Name: s.name("Input"), Fields: graphql.InputObjectConfigFieldMap{
		"clientId": field(client), "node": field(s.maybe(nodeIn))}})

	object := func(word string, fields graphql.Fields) *graphql.Object {
		return graphql.NewObject(graphql.ObjectConfig{Name: s.name(word), Fields: fields})
	}
	get := func(t graphql.Output, f func(i Item) any) *graphql.Field {
		return &graphql.Field{Type: t, Resolve: func(p graphql.ResolveParams) (any, error) {
			e, _ := p.Source.(edge)
			return f(e.Item), nil
		}}
	}
	node := object("Item", graphql.Fields{
		"dbId":          get(s.pick(graphql.Int, graphql.ID, graphql.String), func(i Item) any { return i.ID }),
		"extIdentifier": get(key, func(i Item) any { return i.ExtIdentifier }),
		"amount": get(amount, func(i Item) any {
			if amount == graphql.Float {
				f, _ := strconv.ParseFloat(i.Amount, 64)
				return f
			}
			return i.Amount
		}),
	})
	edges := object("Edge", graphql.Fields{
		"clientId": &graphql.Field{Type: client, Resolve: func(p graphql.ResolveParams) (any, error) { return p.Source.(edge).client, nil }},
		"cursor":   get(graphql.String, func(i Item) any { return strconv.Itoa(i.ID) }),
		"node":     &graphql.Field{Type: node, Resolve: func(p graphql.ResolveParams) (any, error) { return p.Source, nil }},
	})
	pageInfo := object("Info", graphql.Fields{"hasNextPage": &graphql.Field{Type: graphql.NewNonNull(graphql.Boolean)}})
	connection := object("Connection", graphql.Fields{"edges": &graphql.Field{Type: graphql.NewList(edges)}, "pageInfo": &graphql.Field{Type: pageInfo}})
	filter := graphql.NewInputObject(graphql.InputObjectConfig{Name: s.name("Filter"), Fields: graphql.InputObjectConfigFieldMap{
		"extIdentifier_in": field(graphql.NewList(s.maybe(key))), "dbId_gt": field(graphql.Int)}})
	errorFilter := graphql.NewInputObject(graphql.InputObjectConfig{Name: s.name("Filter"), Fields: graphql.InputObjectConfigFieldMap{"createdAt_gte": field(date)}})
	level := object("Level", graphql.Fields{"code": &graphql.Field{Type: graphql.String}, "name": &graphql.Field{Type: graphql.String}})
	lateError := object("Error", graphql.Fields{"dbId": &graphql.Field{Type: graphql.Int}, "createdAt": &graphql.Field{Type: date}, "message": &graphql.Field{Type: graphql.String},
		"errorLevel": &graphql.Field{Type: level}, "transactionDbId": &graphql.Field{Type: graphql.Int}})
	errorEdges := object("Edge", graphql.Fields{"cursor": &graphql.Field{Type: graphql.String}, "node": &graphql.Field{Type: lateError}})
	lateErrors := object("Connection", graphql.Fields{"edges": &graphql.Field{Type: graphql.NewList(errorEdges)}, "pageInfo": &graphql.Field{Type: pageInfo}})
	arguments := func(filter graphql.Input) graphql.FieldConfigArgument {
		return graphql.FieldConfigArgument{"first": {Type: graphql.Int}, "after": {Type: graphql.String}, "last": {Type: graphql.Int}, "filter": {Type: filter}}
	}
	schema, err := graphql.NewSchema(graphql.SchemaConfig{
		Query: graphql.NewObject(graphql.ObjectConfig{Name: s.name("Query"), Fields: graphql.Fields{
			"glImportItems": &graphql.Field{Type: connection, Args: arguments(filter), Resolve: s.find},
			"glImportItemErrors": &graphql.Field{Type: lateErrors, Args: arguments(errorFilter), Resolve: func(graphql.ResolveParams) (any, error) {
				return map[string]any{"edges": []any{}, "pageInfo": map[string]any{"hasNextPage": false}}, nil
			}},
		}}),
		Mutation: graphql.NewObject(graphql.ObjectConfig{Name: s.name("Mutation"), Fields: graphql.Fields{
			"addGLImportItems": &graphql.Field{Type: connection, Args: graphql.FieldConfigArgument{
				"inputs": {Type: s.maybe(graphql.NewList(s.maybe(input)))}}, Resolve: s.add},
		}}),
	})
	if err != nil {
		panic(err) // a schema of our own
	}
	s.schema = schema
}

// edge is an edge of an answer: what was stored, and how its sender named it.
type edge struct {
	Item
	client any
}

func said(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// add stores all items or none.
func (s *Server) add(p graphql.ResolveParams) (any, error) {
	inputs, _ := p.Args["inputs"].([]any)
	var out []edge
	sums := make(map[string]*big.Rat)
	for _, in := range inputs {
		in, _ := in.(map[string]any)
		node, _ := in["node"].(map[string]any)
		account, _ := node["account"].(map[string]any)
		i := Item{len(s.items) + len(out) + 1, said(node["extIdentifier"]), said(node["trRegNumber"]), said(node["amount"]), said(account["code"]), said(node["text"]), said(node["postedDate"])}
		amount, ok := new(big.Rat).SetString(i.Amount)
		if !ok || i.Account == "" || i.TrRegNumber == "" {
			return nil, errors.New("an item lacks its amount, account or number")
		}
		if sums[i.TrRegNumber] == nil {
			sums[i.TrRegNumber] = new(big.Rat)
		}
		sums[i.TrRegNumber].Add(sums[i.TrRegNumber], amount)
		out = append(out, edge{i, in["clientId"]})
	}
	for number, sum := range sums {
		if sum.FloatString(2) != "0.00" && sum.FloatString(2) != "-0.00" {
			return nil, fmt.Errorf("voucher %s does not balance", number)
		}
	}
	for _, e := range out {
		s.items = append(s.items, e.Item)
	}
	return map[string]any{"edges": out, "pageInfo": map[string]any{"hasNextPage": false}}, nil
}

// find answers with items, three to a page.
func (s *Server) find(p graphql.ResolveParams) (any, error) {
	filter, _ := p.Args["filter"].(map[string]any)
	wanted, filtered := filter["extIdentifier_in"].([]any)
	after, _ := strconv.Atoi(said(p.Args["after"]))
	var out []edge
	more := false
	for _, i := range s.items {
		if i.ID <= after || filtered && !slices.ContainsFunc(wanted, func(v any) bool { return said(v) == i.ExtIdentifier }) {
			continue
		}
		if more = len(out) == 3; more {
			break
		}
		out = append(out, edge{Item: i})
	}
	return map[string]any{"edges": out, "pageInfo": map[string]any{"hasNextPage": more}}, nil
}
