import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import { type Ec2Request, isEqualText, signEc2Request, signS3Text } from "./ec2-signature.ts"
import { decodeBase32, isTotpCode, totpCode } from "./totp.ts"

test("TOTP codes of RFC 6238", () => {
  const secret = Buffer.from("12345678901234567890")
  for (const [time, code] of [
    [59, "287082"],
    [1_111_111_109, "081804"],
    [1_234_567_890, "005924"],
    [20_000_000_000, "353130"],
  ] as const) {
    assert.equal(totpCode(secret, time), code)
    assert.ok(isTotpCode(secret, code, time))
    assert.ok(isTotpCode(secret, code, time + 30), "the half minute after")
    assert.ok(!isTotpCode(secret, code, time + 90))
    assert.ok(!isTotpCode(secret, code, time - 30), "not before its time")
  }
  assert.deepEqual(decodeBase32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), secret)
  assert.deepEqual(decodeBase32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOI===== "), secret.subarray(0, 19))
  assert.equal(decodeBase32("not base32!"), null)
  const began = process.cpuUsage()
  assert.equal(decodeBase32(`${"=".repeat(100_000)}A`), null)
  assert.ok(process.cpuUsage(began).user < 2_000_000)
})

// The example of AWS's own description of version 4.
const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
const request: Ec2Request = {
  verb: "GET",
  host: "iam.amazonaws.com",
  path: "/",
  params: { Action: "ListUsers", Version: "2010-05-08" },
  headers: {
    Authorization: [
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request",
      "SignedHeaders=content-type;host;x-amz-date",
      "Signature=x",
    ].join(", "),
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    Host: "iam.amazonaws.com",
    "X-Amz-Date": "20150830T123600Z",
  },
  bodyHash: createHash("sha256").update("").digest("hex"),
}

test("signature version 4", () => {
  const wanted = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
  assert.equal(signEc2Request(secret, request), wanted)
  const tampered = { ...request, params: { ...request.params, Action: "DeleteUser" } }
  assert.notEqual(signEc2Request(secret, tampered), wanted)
  const otherDay = { ...request, headers: { ...request.headers, "X-Amz-Date": "20150831T123600Z" } }
  assert.equal(signEc2Request(secret, otherDay), null)
})

test("signature version 2", () => {
  const v2 = {
    verb: "GET",
    host: "elasticmapreduce.amazonaws.com",
    path: "/",
    headers: {},
    bodyHash: "",
    // The example of AWS's description of version 2.
    params: {
      AWSAccessKeyId: "AKIAIOSFODNN7EXAMPLE",
      Action: "DescribeJobFlows",
      SignatureMethod: "HmacSHA256",
      SignatureVersion: "2",
      Timestamp: "2011-10-03T15:19:30",
      Version: "2009-03-31",
    },
  }
  const key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
  assert.equal(signEc2Request(key, v2), "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=")
  assert.equal(signEc2Request(key, { ...v2, params: { ...v2.params, SignatureVersion: "7" } }), null)
})

test("S3 texts are signed for S3 only", () => {
  const text = (service: string) =>
    `AWS4-HMAC-SHA256\n20261121T000000Z\n20261121/RegionOne/${service}/aws4_request\nab`
  assert.match(signS3Text("s", text("s3")) ?? "", /^[0-9a-f]{64}$/)
  assert.equal(signS3Text("s", text("ec2")), null)
  assert.ok(isEqualText("abc", "abc"))
  assert.ok(!isEqualText("abc", "abcd"))
})
