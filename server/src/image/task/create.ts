import { type Static, Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { draftOf, visibilityRuleNames, visibilityRules } from "../image/create.ts"
import { announceImage } from "../image/events.ts"
import { insertImage } from "../image/store.ts"
import { startImport } from "../import/import.ts"
import { isWebAddress } from "../import/web-download.ts"
import type { Task } from "./task.ts"

const ImportTaskInput = Type.Object({
  import_from: Type.String(),
  import_from_format: Type.Optional(Type.String()),
  image_properties: Type.Record(Type.String(), Type.Unknown()),
})

/** Makes an image and fills it from the web; the image goes again when that fails. */
export const createImportTask = operation({
  name: "image.task.create",
  input: Type.Object({ input: ImportTaskInput }),
  load: async (ctx, { input }) => draftOf(ctx, input.image_properties),
  rules: ["tasks_api_access", "add_task", "add_image", ...visibilityRuleNames],
  authorize: (_ctx, _input, draft) => {
    const target = { project_id: draft.projectId, owner: draft.projectId, visibility: draft.visibility }
    return [
      ["tasks_api_access", {}],
      ["add_task", {}],
      ["add_image", target],
      ...visibilityRules(draft.visibility, target),
    ]
  },
  run: async (ctx, { input }, draft): Promise<Task> => {
    const uri = input.import_from
    if (!isWebAddress(uri)) throw invalid("import_from", `Only http and https addresses can be read: ${uri}`)
    return await transact(ctx.db, async (tx) => {
      const formats = {
        diskFormat: draft.diskFormat ?? "raw",
        containerFormat: draft.containerFormat ?? "bare",
      }
      const image = await insertImage(tx, { ...draft, ...formats }, ctx.clock.now())
      await announceImage(tx, ctx, "create", image)
      return await startImport(tx, ctx, {
        image,
        source: { method: "web-download", uri },
        type: "import",
        input: taskInput(input),
        stores: [ctx.config.image.defaultStore],
        mustAllSucceed: true,
        isImageOwn: true,
      })
    })
  },
})

function taskInput(input: Static<typeof ImportTaskInput>): Record<string, unknown> {
  return { ...input }
}
