import assert from "node:assert/strict"
import { test } from "node:test"
import { isSignedWith, readOauthHeader, type SignedRequest } from "./signature.ts"

function signed(method: string, origin: string, url: string, authorization: string): SignedRequest {
  return { method, origins: ["http://elsewhere.example", origin], url, authorization }
}

// The requests of RFC 5849, section 1.2; the first with the signature that oauthlib makes.
const consumer = "kd94hf93k423kf44"
const samples: readonly [SignedRequest, string][] = [
  [
    signed(
      "POST",
      "https://photos.example.net",
      "/initiate",
      'OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_signature_method="HMAC-SHA1", ' +
        'oauth_timestamp="137131200", oauth_nonce="wIjqoxSW", ' +
        'oauth_callback="http%3A%2F%2Fprinter.example.com%2Fready", ' +
        'oauth_signature="%2BFxnWvPFUEtxWxJHngk5ftcrorY%3D"',
    ),
    "",
  ],
  [
    signed(
      "POST",
      "https://photos.example.net",
      "/token",
      'OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="hh5s93j4hdidpola", ' +
        'oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131201", oauth_nonce="walatlh", ' +
        'oauth_verifier="hfdp7dh39dks9884", oauth_signature="gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D"',
    ),
    "hdhd0244k9j7ao03",
  ],
  [
    signed(
      "GET",
      "http://photos.example.net",
      "/photos?file=vacation.jpg&size=original",
      'OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="nnch734d00sl2jdk", ' +
        'oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131202", oauth_nonce="chapoH", ' +
        'oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D"',
    ),
    "pfkkdhi9sl3r4s00",
  ],
]

test("the requests of the specification are signed right, and with nothing else", () => {
  for (const [request, token] of samples) {
    const oauth = readOauthHeader(request.authorization)
    assert.ok(oauth)
    assert.ok(isSignedWith(request, oauth, { consumer, token }))
    assert.ok(!isSignedWith(request, oauth, { consumer, token: `${token}x` }))
    assert.ok(!isSignedWith(request, oauth, { consumer: "x", token }))
    assert.ok(!isSignedWith({ ...request, method: "PUT" }, oauth, { consumer, token }))
    assert.ok(!isSignedWith({ ...request, url: `${request.url}?a=b` }, oauth, { consumer, token }))
    assert.ok(!isSignedWith({ ...request, origins: ["https://other.example"] }, oauth, { consumer, token }))
    const plain = new Map(oauth)
      .set("oauth_signature_method", "PLAINTEXT")
      .set("oauth_signature", `${consumer}&${token}`)
    assert.ok(isSignedWith(request, plain, { consumer, token }))
    assert.ok(!isSignedWith(request, plain, { consumer, token: `${token}x` }))
    assert.ok(!isSignedWith(request, new Map(plain).set("oauth_signature", ""), { consumer, token }))
    const unknown = new Map(plain).set("oauth_signature_method", "RSA-SHA1")
    assert.ok(!isSignedWith(request, unknown, { consumer, token }))
  }
})

test("what is no header of OAuth, or is ambiguous, is not read", () => {
  for (const text of [
    null,
    "",
    "Basic YTpi",
    "OAuth",
    "OAuth oauth_token",
    'OAuth oauth_token="%zz"',
    'OAuth oauth_token="a", oauth_token="b"',
  ])
    assert.equal(readOauthHeader(text), null, String(text))
  assert.deepEqual(
    [...(readOauthHeader('oauth realm="", a%20b="c%2Cd"') ?? [])],
    [
      ["realm", ""],
      ["a b", "c,d"],
    ],
  )
})
