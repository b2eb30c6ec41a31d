// Loads a compose file as `docker compose config` does, by the library that Docker Compose has it from: the schema, the
// types, the .env file, the profile, and whether every name that is used is one that exists. Prints the services.
//
//	compose FILE PROFILE
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	file, profile := os.Args[1], os.Args[2]
	// The options of Docker Compose, in its order.
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithWorkingDirectory(filepath.Dir(file)),
		cli.WithOsEnv,
		cli.WithEnvFiles(),
		cli.WithDotEnv,
		cli.WithProfiles([]string{profile}),
		cli.WithResolvedPaths(true),
	)
	if err != nil {
		fail(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fail(err)
	}
	names := project.ServiceNames()
	slices.Sort(names)
	fmt.Printf("%s, profile %s: %s\n", file, profile, strings.Join(names, " "))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "compose:", err)
	os.Exit(1)
}
