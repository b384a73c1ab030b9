// Package oidc signs people in with OpenID providers: authorization code flow with PKCE, state and nonce.
//
// [SignIn.Begin] makes the address at the provider to which a browser is sent, and a cookie for that browser; [SignIn.Finish]
// takes both back and says who it is. In between nothing is stored: the cookie is a signed token with all that has to come back,
// so that any replica may finish what another began. What becomes of the person, such as a user with a role, is decided
// elsewhere.
//
// # What is checked
//
// The cookie: algorithm, signature, issuer, audience, age, provider. The answer: state, in constant time, and the provider's own
// name where it sends or announces it (RFC 9207), both before anything else of it is believed, its error text included. The ID
// token: algorithm (one of those that discovery names, and never one without a key pair), signature, issuer, audience,
// authorized party, expiry, nonce, hash of the access token. The e-mail address: verified, of an allowed domain.
//
// # Once
//
// A cookie is good for one answer: the replica that finishes remembers its state until it expires, and refuses it from then on,
// whatever came of it. Another replica does not know, but the provider does: a code is good for one exchange. The caller takes
// the cookie away from the browser in any case.
package oidc
