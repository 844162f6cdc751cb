// Command oidcserver is an issuer of OpenID Connect for tests of the console, built on
// zitadel's provider, which shares no code with ours. It is a module of its own, because
// nothing else needs what that brings. It knows one application and the people it is given, and
// each person's password is their name. It listens on loopback and is not for anything but tests.
//
//	go run -C internal/oidcserver . -redirect http://localhost:8088/signin/callback -person 'kari:Kari Nordmann:finance'
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oidcserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Its first line on stdout is the issuer's URL.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("oidcserver", flag.ContinueOnError)
	port := flags.Int("port", 0, "the port on loopback; 0 is a free one")
	id := flags.String("client", "console", "the application's client ID")
	secret := flags.String("secret", "secret", "the application's client secret")
	redirect := flags.String("redirect", "http://localhost:8088/signin/callback", "the application's redirect URI")
	var all []person
	flags.Func("person", "somebody who can sign in, as NAME:FULL NAME:GROUP,GROUP; may be repeated", func(s string) error {
		p, err := parsePerson(s)
		all = append(all, p)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	issuer, err := serve(ctx, l, *id, *secret, *redirect, all)
	if err != nil {
		return err
	}
	fmt.Println(issuer)
	<-ctx.Done()
	return nil
}
