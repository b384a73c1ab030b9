package replica

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Headers of a request of one replica to another.
const (
	toHeader        = "X-Stroem-Replica"
	timeHeader      = "X-Stroem-Time"
	signatureHeader = "X-Stroem-Signature"
)

// skew is how far apart the clocks of replicas may be, and how long a request is good.
const skew = 5 * time.Minute

// Key is what replicas show each other that they have. It is never sent: whoever gets a request by mistake, at an address that was
// a replica's, cannot make one.
type Key []byte

// sign writes who a request is for, and that a replica made it.
func (k Key) sign(r *http.Request, path string, to uuid.UUID, body []byte) {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set(toHeader, to.String())
	r.Header.Set(timeHeader, at)
	r.Header.Set(signatureHeader, hex.EncodeToString(k.mac(r.Method, path, to.String(), at, body)))
}

// Guard lets requests of other replicas in.
type Guard struct {
	Keys []Key     // each of which will do: while a key is replaced not all replicas have the same one yet
	ID   uuid.UUID // of this one
}

// Check tells why a request is not let in: a replica did not make it for this one, lately, as it is. header returns the first value
// of a header.
func (g Guard) Check(method, uri string, header func(name string) string, body []byte) error {
	to, at := header(toHeader), header(timeHeader)
	given, err := hex.DecodeString(header(signatureHeader))
	signed := func(key Key) bool { return hmac.Equal(given, key.mac(method, uri, to, at, body)) }
	if err != nil || !slices.ContainsFunc(g.Keys, signed) {
		return core.Errorf(core.CodeForbidden, "not_a_replica", "This is for the other replicas alone, which have the same secrets.key")
	}
	if to != g.ID.String() {
		return core.Errorf(core.CodeConflict, "other_replica", "This replica is %s, and the request is for %s: internal_url has to lead to one replica", g.ID, to)
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if off := time.Since(time.Unix(seconds, 0)); err != nil || off > skew || off < -skew {
		return core.Errorf(core.CodeForbidden, "request_expired", "The clocks of the replicas are more than %s apart", skew)
	}
	return nil
}

// mac binds the parts of a request; no two requests give the same text.
func (k Key) mac(method, uri, to, at string, body []byte) []byte {
	sum := sha256.Sum256(body)
	mac := hmac.New(sha256.New, k)
	_, _ = fmt.Fprintf(mac, "%q %q %q %q %x", method, uri, to, at, sum) // never fails
	return mac.Sum(nil)
}
