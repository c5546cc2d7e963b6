import assert from "node:assert/strict"
import { test } from "node:test"
import { chooseDeviceName, lettersOf } from "./device-name.ts"

test("the next free letter, or what was asked for", () => {
  assert.equal(chooseDeviceName(null, ["/dev/vda", "/dev/vdc"]), "/dev/vdb")
  const all = Array.from({ length: 26 }, (_, number) => `/dev/vd${lettersOf(number)}`)
  assert.equal(chooseDeviceName(null, all), "/dev/vdaa")
  assert.equal(chooseDeviceName("vdx", all.slice(0, 3)), "/dev/vdx")
  assert.equal(chooseDeviceName("/dev/sdb", all), "/dev/sdb")
  assert.throws(() => chooseDeviceName("/dev/vda", all), /device path \(\/dev\/vda\) is in use/)
  assert.throws(() => chooseDeviceName("v d a", all), /device path \(v d a\) is invalid/)
})
