#!/usr/bin/env bash
# Builds a Vault server in memory from HashiCorp's Go modules, for tests with the real thing:
#   scripts/vault.sh
# It is no dependency and stays in .cache. Prints the program's path. Needs Go; the first time takes minutes.
# Vault's own core, HTTP handler, KV, AppRole, JWT and Kubernetes auth and database engine, without the cloud plugins.
set -euo pipefail
version=1.21.4
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/vault/$version"
mkdir -p "$folder"
cd "$folder"
export GOFLAGS=-buildvcs=false
if [ ! -x vault ]; then
  # Vault builds with the sdk of its own folder; as a module it needs the published one that is like it.
  cat > go.mod <<MOD
module tools

go 1.26.0

require github.com/hashicorp/vault v$version

replace (
	github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
	github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.20.0
	github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1
)
MOD
  cat > main.go <<'GO'
// A Vault server in memory for tests: Vault's own core, HTTP handler, KV, AppRole, JWT and Kubernetes auth and the
// database engine with its PostgreSQL plugin, without the cloud plugins. Prints {"address","token","unsealKey"} as one line.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/database"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

type registry map[consts.PluginType]map[string]func() (interface{}, error)

func (r registry) Contains(name string, kind consts.PluginType) bool { _, ok := r[kind][name]; return ok }
func (r registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	found, ok := r[kind][name]
	return found, ok
}
func (r registry) Keys(kind consts.PluginType) (names []string) {
	for name := range r[kind] {
		names = append(names, name)
	}
	return names
}
func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}
func (r registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func factory(f logical.Factory) func() (interface{}, error) {
	return func() (interface{}, error) { return f, nil }
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	storage, err := inmem.NewInmem(map[string]string{"max_value_size": "1048576"}, logger)
	check(err)
	secrets := map[string]logical.Factory{"kv": kv.Factory, "database": database.Factory}
	logins := map[string]logical.Factory{"approle": approle.Factory, "jwt": jwtauth.Factory, "kubernetes": kubeauth.Factory}
	plugins := registry{consts.PluginTypeSecrets: {}, consts.PluginTypeCredential: {}, consts.PluginTypeDatabase: {
		"postgresql-database-plugin": postgresql.New,
	}}
	for name, each := range secrets {
		plugins[consts.PluginTypeSecrets][name] = factory(each)
	}
	for name, each := range logins {
		plugins[consts.PluginTypeCredential][name] = factory(each)
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, Logger: logger, DisableMlock: true,
		LogicalBackends: secrets, CredentialBackends: logins, BuiltinRegistry: plugins,
	})
	check(err)
	shares := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: shares})
	check(err)
	_, err = core.Unseal(append([]byte(nil), made.SecretShares[0]...))
	check(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	check(json.NewEncoder(os.Stdout).Encode(map[string]string{
		"address": "http://" + listener.Addr().String(), "token": made.RootToken,
		"unsealKey": hex.EncodeToString(made.SecretShares[0]),
	}))
	check(http.Serve(listener, handler))
}
GO
  go mod tidy >&2
  go build -ldflags '-s -w' -o vault.new . >&2
  mv vault.new vault
fi
printf '%s\n' "$folder/vault"
