import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { noBaremetalService } from "../faults.ts"

const asked = (verb: "list" | "show") =>
  operation({
    name: `compute.baremetal_node.${verb}`,
    input: Type.Object({}),
    faults: [noBaremetalService],
    rule: `os_compute_api:os-baremetal-nodes:${verb}`,
    run: async (): Promise<never> => {
      throw noBaremetalService()
    },
  })

export const listBaremetalNodes = asked("list")
export const showBaremetalNode = asked("show")
