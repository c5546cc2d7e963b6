import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import {
  endNetnsProcesses,
  ensureNetns,
  enterNetns,
  netnsInode,
  netnsProcesses,
  removeNetns,
} from "./netns.ts"

const skip = process.getuid?.() === 0 ? false : "needs root"

test("a namespace whose name was lost is found again by a process in it", { skip }, async () => {
  const name = `kumoi-${randomBytes(4).toString("hex")}`
  const path = `/run/netns/${name}`
  try {
    const inode = await ensureNetns(name, undefined)
    assert.equal(await ensureNetns(name, undefined), inode, "made once")
    const [program = "", ...enter] = enterNetns(path)
    const child = spawn(program, [...enter, "sleep", "60"], { stdio: "ignore" })
    await eventually("the process to be inside", () => netnsProcesses([inode]).length === 1)
    assert.equal(netnsProcesses([inode])[0]?.pid, child.pid, "nsenter becomes the program")

    await exec("umount", [path])
    assert.equal(netnsInode(name), undefined)
    assert.equal(await ensureNetns(name, inode), inode)

    await exec("umount", [path])
    assert.equal(await endNetnsProcesses([inode]), 1)
    assert.notEqual(await ensureNetns(name, inode), 0)
    assert.equal(netnsProcesses([netnsInode(name) ?? 0]).length, 0, "nothing of the old one is left")
  } finally {
    await removeNetns(name)
    await removeNetns(name)
  }
})
