import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { detectFormat, type FormatFacts } from "./format.ts"
import { findMismatch } from "./inspect.ts"

async function detect(content: Buffer): Promise<FormatFacts> {
  const dir = await mkdtemp(join(tmpdir(), "kumoi-format-"))
  try {
    await writeFile(join(dir, "image"), content)
    return await detectFormat(join(dir, "image"))
  } finally {
    await rm(dir, { recursive: true })
  }
}

function qcow2(edit: (header: Buffer) => void = () => {}): Buffer {
  const header = Buffer.alloc(1024)
  header.write("QFI\xfb", 0, "latin1")
  header.writeUInt32BE(3, 4)
  header.writeBigUInt64BE(1_073_741_824n, 24)
  edit(header)
  return header
}

function vmdk(descriptor: string): Buffer {
  const file = Buffer.alloc(4096)
  file.write("KDMV", 0, "latin1")
  file.writeBigUInt64LE(2048n, 12)
  file.writeBigUInt64LE(1n, 28)
  file.writeBigUInt64LE(4n, 36)
  file.write(descriptor, 512, "latin1")
  return file
}

test("plain data have no format and their own size", async () => {
  assert.deepEqual(await detect(Buffer.alloc(700)), { format: null, virtualSizeBytes: 700, danger: null })
  assert.deepEqual(await detect(Buffer.alloc(0)), { format: null, virtualSizeBytes: 0, danger: null })
})

test("qcow2: its size, and what points out of it", async () => {
  assert.deepEqual(await detect(qcow2()), {
    format: "qcow2",
    virtualSizeBytes: 1_073_741_824,
    danger: null,
  })
  const backing = await detect(qcow2((h) => h.writeBigUInt64BE(200n, 8)))
  assert.match(backing.danger ?? "", /backing file/)
  const data = await detect(qcow2((h) => h.writeBigUInt64BE(4n, 72)))
  assert.match(data.danger ?? "", /external data file/)
  const old = await detect(
    qcow2((h) => {
      h.writeUInt32BE(2, 4)
      h.writeBigUInt64BE(4n, 72)
    }),
  )
  assert.equal(old.danger, null, "version 2 has no features")
})

test("vmdk: only types that are whole in one file", async () => {
  const whole = await detect(
    vmdk('# Disk DescriptorFile\ncreateType="streamOptimized"\nRW 2048 SPARSE "disk.vmdk"\n'),
  )
  assert.deepEqual(whole, { format: "vmdk", virtualSizeBytes: 2048 * 512, danger: null })
  for (const text of [
    'createType="monolithicFlat"\nRW 2048 FLAT "/etc/passwd" 0\n',
    'createType="monolithicSparse"\nRW 2048 SPARSE "/etc/shadow"\n',
    'createType="monolithicSparse"\nparentFileNameHint="/other.vmdk"\n',
    "nothing",
  ])
    assert.notEqual((await detect(vmdk(text))).danger, null, text)
  const text = await detect(Buffer.from('# Disk DescriptorFile\ncreateType="monolithicFlat"\n'.padEnd(600)))
  assert.equal(text.format, "vmdk")
  assert.notEqual(text.danger, null)
})

test("vmdk: extents that lie over several lines, or in the quotes of others", async () => {
  const type = 'createType = "monolithicSparse"\r\n'
  for (const text of [
    'RW 2048\n\tSPARSE\n "/etc/shadow"\n',
    'RW 2048 SPARSE "\nrdonly 1 FLAT "C:\\secret"\n',
    '\r\n \v parentFileNameHint \n = "x"\n',
  ])
    assert.equal((await detect(vmdk(type + text))).danger, "its data are in other files", text)
  assert.equal((await detect(vmdk(`${type}# a/b\nRW 2048 SPARSE "a b.vmdk"\n`))).danger, null)
})

test("vmdk: no descriptor takes long", async () => {
  const type = 'createType="monolithicSparse"\n'
  const pieces = [
    " ",
    "\n",
    "\r\n ",
    "RW ",
    "RW 1 ",
    "RW 1 F ",
    'RW 1 F "',
    "\nRW 1 F ",
    '\nRW 1 F "',
    "/",
    "1",
    "a",
  ]
  const starts = [
    "",
    type,
    `${type}RW `,
    `${type}RW 1 `,
    `${type}RW 1 F "`,
    "createType",
    "createType=",
    'createType="',
  ]
  const began = performance.now()
  for (const start of starts)
    for (const piece of pieces) {
      const file = Buffer.alloc(512 + 65_536, piece, "latin1")
      vmdk(start).copy(file, 0, 0, 512 + start.length)
      file.writeBigUInt64LE(128n, 36)
      await detect(file)
    }
  assert.ok(performance.now() - began < 5_000)
})

test("vhd by its footer, vdi and vhdx by their heads, iso by its mark", async () => {
  const fixed = Buffer.alloc(2048)
  fixed.write("conectix", 1536, "latin1")
  fixed.writeBigUInt64BE(1536n, 1536 + 48)
  fixed.writeUInt32BE(2, 1536 + 60)
  assert.deepEqual(await detect(fixed), { format: "vhd", virtualSizeBytes: 1536, danger: null })
  const difference = Buffer.alloc(2048)
  difference.write("conectix", 0, "latin1")
  difference.writeUInt32BE(4, 60)
  assert.notEqual((await detect(difference)).danger, null)
  const vdi = Buffer.alloc(1024)
  vdi.writeUInt32LE(0xbeda107f, 0x40)
  vdi.writeUInt32LE(4, 0x4c)
  assert.notEqual((await detect(vdi)).danger, null)
  vdi.writeUInt32LE(1, 0x4c)
  assert.equal((await detect(vdi)).danger, null)
  assert.equal((await detect(Buffer.from("vhdxfile".padEnd(600)))).format, "vhdx")
  const iso = Buffer.alloc(40_000)
  iso.write("CD001", 0x8001, "latin1")
  assert.equal((await detect(iso)).format, "iso")
})

test("what is declared must be what is there", () => {
  const is = (format: FormatFacts["format"]): FormatFacts => ({ format, virtualSizeBytes: 1, danger: null })
  assert.equal(findMismatch("qcow2", is("qcow2")), null)
  assert.equal(findMismatch("raw", is(null)), null)
  assert.equal(findMismatch("raw", is("iso")), null)
  assert.equal(findMismatch("aki", is(null)), null)
  assert.match(findMismatch("raw", is("qcow2")) ?? "", /declared as raw and is qcow2/)
  assert.match(findMismatch("qcow2", is(null)) ?? "", /plain data/)
  assert.notEqual(findMismatch("iso", is(null)), null)
  assert.notEqual(findMismatch("vmdk", is("qcow2")), null)
})
