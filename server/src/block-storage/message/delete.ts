import { ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { messageNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { visibleMessage } from "./read.ts"

export const deleteMessage = operation({
  name: "block_storage.message.delete",
  input: ThingInput,
  faults: [messageNotFound],
  load: (ctx, { id }) => visibleMessage(ctx, id),
  rule: "message:delete",
  target: (_ctx, _input, message) => targetOf(message),
  run: async (ctx, { id }) => {
    await ctx.db.deleteFrom("block_storage.message").where("id", "=", id).execute()
  },
})
