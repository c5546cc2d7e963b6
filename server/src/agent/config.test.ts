import assert from "node:assert/strict"
import { test } from "node:test"
import { loadConfig } from "../platform/config/config.ts"
import { Fault } from "../platform/fault/fault.ts"
import { agentConfig } from "./config.ts"

function refusal(...volumeBackEnds: object[]): string | null {
  try {
    // As the file may have it.
    agentConfig.check?.({ cpuDedicatedSet: "", volumeBackEnds, storageNetworks: [] } as never)
    return null
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === "config.invalid")
    return error.message
  }
}

test("back ends of each kind may be configured, several of one kind, too", () => {
  assert.equal(refusal(), null)
  const file = { name: "file", kind: "file" }
  assert.equal(refusal(file, { ...file, name: "fast.2", directory: "/srv/fast/" }), null)
  assert.equal(refusal({ name: "nas", kind: "nfs", directory: "/srv/nas", source: "nas:/volumes" }), null)
  const san = { name: "san", kind: "iscsi" }
  assert.equal(refusal(san, { ...san, name: "own", portal: "10.1.0.5", directory: "/srv/san" }), null)
  assert.equal(refusal({ ...san, portal: "10.1.0.5:3261" }), null)
  const ceph = { name: "ceph", kind: "rbd", pool: "volumes", user: "kumoi", keyringFile: "/etc/ceph/k" }
  assert.equal(refusal(ceph, { ...ceph, name: "ssd", pool: "ssd", configFile: "/etc/ceph/ceph.conf" }), null)
  assert.equal(refusal({ name: "kumoi-1", kind: "fake" }, { name: "kumoi-2", kind: "fake" }), null)
})

test("what is wrong is refused by the name of its key", () => {
  const nas = { name: "nas", kind: "nfs", directory: "/srv/nas" }
  for (const [wrong, key] of [
    [{ ...nas, kind: "lvm" }, "0.kind"],
    [{ ...nas, kind: "toString" }, "0.kind"],
    [{ kind: "file" }, "0.name"],
    [{ ...nas, name: "a@b" }, "0.name"],
    [{ ...nas, name: "../x" }, "0.name"],
    [{ name: "nas", kind: "nfs" }, "0.directory"],
    [{ ...nas, directory: "srv" }, "0.directory"],
    [{ ...nas, directory: "/srv//nas" }, "0.directory"],
    [{ ...nas, source: "" }, "0.source"],
    [{ name: "file", kind: "file", source: "x" }, "0.source"],
    [{ name: "ceph", kind: "rbd", user: "kumoi", keyringFile: "/k" }, "0.pool"],
    [{ name: "ceph", kind: "rbd", pool: "a/b", user: "kumoi", keyringFile: "/k" }, "0.pool"],
    [{ name: "ceph", kind: "rbd", pool: "-p", user: "kumoi", keyringFile: "/k" }, "0.pool"],
    [{ name: "ceph", kind: "rbd", pool: "p", user: "kumoi", keyringFile: "/a,b" }, "0.keyringFile"],
    [{ name: "fake", kind: "fake", source: "x" }, "0.source"],
    [{ name: "san", kind: "iscsi", portal: "10.1.0.256" }, "0.portal"],
    [{ name: "san", kind: "iscsi", portal: "storage.example" }, "0.portal"],
    [{ name: "san", kind: "iscsi", portal: "10.1.0.5:x" }, "0.portal"],
    [{ name: "san", kind: "iscsi", portal: "10.1.0.5", directory: "/srv/a,b" }, "0.directory"],
  ] as const) {
    assert.match(refusal(wrong) ?? "", new RegExp(`agent.volumeBackEnds.${key}:`), JSON.stringify(wrong))
  }
  assert.match(refusal(nas, { name: "nas", kind: "fake" }) ?? "", /volumeBackEnds.1.name: nas is the name/)
  for (const directory of ["/srv", "/srv/nas/", "/srv/nas/more"]) {
    assert.match(refusal(nas, { ...nas, name: "two", directory }) ?? "", /volumeBackEnds.1.directory:/)
  }
  assert.equal(refusal(nas, { ...nas, name: "two", directory: "/srv/nas2" }), null)
})

test("networks of storage are IPv4 prefixes", () => {
  const load = (text: string) =>
    loadConfig({ env: { KUMOI_AGENT_STORAGE_NETWORKS: text }, base: {} as never }).agent.storageNetworks
  assert.deepEqual(load('["10.1.0.0/24", "192.0.2.7/32"]'), ["10.1.0.0/24", "192.0.2.7/32"])
  for (const wrong of [
    "10.1.0.0",
    "10.1.0.256/24",
    "10.1.0.5/24",
    "10.1.0.0/0",
    "fd00::/8",
    "10.0.0.0/8; drop",
  ]) {
    assert.throws(() => load(JSON.stringify([wrong])), { code: "config.invalid" }, wrong)
  }
})

test("processors that are set aside are a set", () => {
  const load = (text: string) =>
    loadConfig({ env: { KUMOI_AGENT_CPU_DEDICATED_SET: text }, base: {} as never }).agent.cpuDedicatedSet
  assert.equal(load("2-5,^4"), "2-5,^4")
  for (const wrong of ["a", "5-2", "-1"]) {
    assert.throws(() => load(wrong), /agent.cpuDedicatedSet:/, wrong)
  }
})
