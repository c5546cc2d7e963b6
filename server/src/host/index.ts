// Hosts on other machines: who may join, and the door through which they speak to the cloud.
export { ensureHostAuthority, hasHostAuthority } from "./authority.ts"
export { type DoorAnswer, type DoorOptions, HostDoor, headerOf, sendJson } from "./door/door.ts"
export { badDoorRequest, hostAddressKind, hostMissing, hostNotJoined } from "./faults.ts"
export { type Member, selectMember, selectMembers } from "./member/member.ts"
export { issueJoinToken, type TokenWish } from "./token/join-token.ts"
