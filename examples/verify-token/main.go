// A backend that lets in whoever brings an access token of Vestibule. It asks Vestibule for nothing but its public keys.
//
//	go mod tidy && ISSUER=https://auth.example.org go run .
//	curl http://localhost:9000/ -H "Authorization: Bearer $ACCESS_TOKEN"
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

var (
	issuer   = env("ISSUER", "http://localhost:8000")
	audience = env("AUDIENCE", issuer)
	// Decided here, never by the token. Name the one that you have set, and two only while you go from one to the other.
	algorithms = []string{"EdDSA", "ES256", "RS256"}
)

// Claims of an access or a refresh token.
type Claims struct {
	jwt.RegisteredClaims
	TokenUse  string `json:"token_use"`
	SessionID string `json:"sid"`
}

// userOf gives the id of the user whom an access token stands for, or an error if it is not good.
func userOf(token string, keys jwt.Keyfunc) (string, error) {
	var claims Claims
	_, err := jwt.ParseWithClaims(token, &claims, keys,
		jwt.WithValidMethods(algorithms),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(5*time.Second), // by which the clocks of two machines may differ
	)
	switch {
	case err != nil:
		return "", err
	case claims.TokenUse != "access":
		// A refresh token is signed by the same key, and opens nothing.
		return "", errors.New("no access token")
	case claims.Subject == "":
		return "", errors.New("no subject")
	}
	return claims.Subject, nil
}

func main() {
	// Fetched now, again each hour, and for a key that is not known yet.
	keys, err := keyfunc.NewDefaultCtx(context.Background(), []string{issuer + "/.well-known/jwks.json"})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		user, err := userOf(token, keys.Keyfunc)
		if err != nil || !strings.EqualFold(scheme, "bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, user)
	})
	log.Fatal(http.ListenAndServe("localhost:"+env("PORT", "9000"), nil))
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
