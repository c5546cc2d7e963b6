import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { detectFormat } from "./format.ts"
import type { FormatFacts } from "./format-facts.ts"
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
  file.writeUInt32LE(1, 4)
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
  for (const feature of [0n, 1n, 3n, 4n])
    assert.equal((await detect(qcow2((h) => h.writeBigUInt64BE(1n << feature, 72)))).danger, null)
  for (const feature of [5n, 12n, 63n])
    assert.match(
      (await detect(qcow2((h) => h.writeBigUInt64BE(1n << feature, 72)))).danger ?? "",
      /not known/,
    )
  for (const version of [0, 1, 4])
    assert.match((await detect(qcow2((h) => h.writeUInt32BE(version, 4)))).danger ?? "", /of version/)
  assert.match((await detect(qcow2().subarray(0, 80))).danger ?? "", /not whole/)
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
  const type = 'createType="monolithicSparse"\r\n'
  for (const text of [
    'RW 2048\n\tSPARSE\n "/etc/shadow"\n',
    'RW 2048 SPARSE "\nrdonly 1 FLAT "C:\\secret"\n',
    '\r\n \v parentFileNameHint \n = "x"\n',
  ])
    assert.notEqual((await detect(vmdk(type + text))).danger, null, text)
  assert.equal((await detect(vmdk(`${type}# a/b\nRW 2048 SPARSE "a b.vmdk"\n`))).danger, null)
})

test("vmdk: what QEMU could read in another way is refused", async () => {
  const type = 'createType="monolithicSparse"\n'
  const rest = 'version=1\nCID=1\nparentCID=ffffffff\nRW 2048 SPARSE "disk.vmdk"\nddb.adapterType = "ide"\n'
  assert.equal((await detect(vmdk(type + rest))).danger, null)
  for (const text of [
    `CREATETYPE="monolithicSparse"\ncreateType="monolithicFlat"\n${rest}`,
    `# createType="monolithicFlat"\n${type}${rest}`,
    `${type}${rest}x="\rRW 1 FLAT "a"`,
    `${type}${rest}something else`,
    `${type}${rest}x=\u00e9`,
    type,
  ])
    assert.notEqual((await detect(vmdk(text))).danger, null, text)
  const edits: ((file: Buffer) => void)[] = [
    (file) => file.writeBigUInt64LE(0n, 12),
    (file) => file.writeBigUInt64LE(2n, 28),
    (file) => file.writeUInt32LE(4, 4),
  ]
  for (const edit of edits) {
    const file = vmdk(type + rest)
    edit(file)
    assert.notEqual((await detect(file)).danger, null)
  }
  assert.notEqual((await detect(Buffer.from("KDMV short"))).danger, null)
})

test("vmdk: a footer may take the place of the header, when it says the same", async () => {
  const header = vmdk('createType="streamOptimized"\nRW 2048 SPARSE "disk.vmdk"\n')
  const footed = (edit: (end: Buffer) => void = () => {}) => {
    const end = Buffer.alloc(3 * 512)
    end.writeUInt32LE(3, 12)
    header.copy(end, 512, 0, 512)
    edit(end)
    const file = Buffer.concat([header, end])
    file.writeBigUInt64LE(2n ** 64n - 1n, 56)
    return file
  }
  assert.deepEqual(await detect(footed()), { format: "vmdk", virtualSizeBytes: 2048 * 512, danger: null })
  const edits: ((end: Buffer) => void)[] = [
    (end) => end.writeBigUInt64LE(9n, 512 + 28),
    (end) => end.writeBigUInt64LE(0n, 512 + 12),
    (end) => end.writeBigUInt64LE(2n ** 64n - 1n, 512 + 56),
    (end) => end.writeUInt32LE(2, 12),
    (end) => end.writeUInt32LE(1, 1024),
    (end) => end.fill(0, 512, 1024),
  ]
  for (const edit of edits) assert.match((await detect(footed(edit))).danger ?? "", /footer/)
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
  const began = process.cpuUsage()
  for (const start of starts)
    for (const piece of pieces) {
      const file = Buffer.alloc(512 + 65_536, piece, "latin1")
      vmdk(start).copy(file, 0, 0, 512 + start.length)
      file.writeBigUInt64LE(128n, 36)
      await detect(file)
    }
  assert.ok(process.cpuUsage(began).user < 5_000_000)
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
  for (const mark of ["NSR02", "NSR03"]) {
    iso.write(mark, 0x8001, "latin1")
    assert.equal((await detect(iso)).format, "iso")
  }
  assert.equal((await detect(Buffer.from("LUKS\xba\xbe".padEnd(600), "latin1"))).format, "luks")
})

test("what has the marks of two formats is neither", async () => {
  const both = Buffer.alloc(40_000)
  qcow2().copy(both)
  both.write("CD001", 0x8001, "latin1")
  const facts = await detect(both)
  assert.deepEqual([facts.format, facts.alsoIs], ["qcow2", "iso"])
  for (const declared of ["iso", "qcow2", "raw"])
    assert.match(findMismatch(declared, facts) ?? "", /is qcow2 and iso/)
  const disk = Buffer.alloc(40_000)
  disk.write("CD001", 0x8001, "latin1")
  disk.write("conectix", disk.length - 512, "latin1")
  const plain = await detect(disk)
  assert.equal(findMismatch("raw", plain), null, "whatever lies in a disk that is read as it is")
  assert.notEqual(findMismatch("iso", plain), null)
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
