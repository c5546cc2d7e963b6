// The smallest whole qcow2 file: a disk of any size that reads as zeros. Layout (clusters of 64 KiB): header,
// refcount table, refcount block, level-1 table.
const clusterBytes = 65_536
const bytesPerL1Entry = clusterBytes * (clusterBytes / 8)

export function emptyQcow2(sizeBytes: number): Buffer {
  const l1Entries = Math.max(1, Math.ceil(sizeBytes / bytesPerL1Entry))
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterBytes)
  const clusters = 3 + l1Clusters
  const file = Buffer.alloc(clusters * clusterBytes)
  file.write("QFI\xfb", 0, "latin1")
  file.writeUInt32BE(2, 4)
  file.writeUInt32BE(16, 20)
  file.writeBigUInt64BE(BigInt(sizeBytes), 24)
  file.writeUInt32BE(l1Entries, 36)
  file.writeBigUInt64BE(BigInt(3 * clusterBytes), 40)
  file.writeBigUInt64BE(BigInt(clusterBytes), 48)
  file.writeUInt32BE(1, 56)
  file.writeBigUInt64BE(BigInt(2 * clusterBytes), clusterBytes)
  for (let cluster = 0; cluster < clusters; cluster++) file.writeUInt16BE(1, 2 * clusterBytes + 2 * cluster)
  return file
}
