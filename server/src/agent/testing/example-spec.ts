import type { VmSpec } from "../protocol.ts"

/** A machine with a root disk from an image, as most are. */
export function exampleSpec(serverId: string): VmSpec {
  return {
    serverId,
    projectId: "0".repeat(32),
    name: "vm1",
    instanceName: "instance-00000001",
    vcpus: 1,
    ramMib: 128,
    disks: [
      {
        name: "root",
        source: { kind: "image", imageId: "root", checksum: "0".repeat(32), diskFormat: "raw" },
        sizeBytes: 1024 ** 3,
        bus: "virtio",
        bootIndex: 0,
      },
    ],
    vifs: [],
    kernelImage: null,
    ramdiskImage: null,
    kernelCommandLine: null,
    configDrive: null,
    properties: {},
  }
}
