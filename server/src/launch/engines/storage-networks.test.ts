import assert from "node:assert/strict"
import { test } from "node:test"
import { refuseStorageOverTunnel } from "./storage-networks.ts"

test("a network of storage that covers the tunnels' address is refused by its name", () => {
  assert.throws(() => refuseStorageOverTunnel(["10.9.0.0/16", "10.1.0.0/24"], "10.1.0.7"), {
    code: "config.invalid",
    message: /^Configuration agent\.storageNetworks\.1: 10\.1\.0\.0\/24 covers 10\.1\.0\.7/,
  })
  assert.throws(() => refuseStorageOverTunnel(["0.0.0.0/0"], "10.1.0.7"), /agent\.storageNetworks\.0/)
  refuseStorageOverTunnel(["10.1.0.5/32", "10.9.0.0/16"], "10.1.0.7")
  refuseStorageOverTunnel([], "10.1.0.7")
})
