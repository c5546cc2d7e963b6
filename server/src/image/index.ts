import "./config.ts"
import type {} from "./tables.ts"

export { imageStoreDirectory, imagesWithData } from "./data/backup-index.ts"
export { downloadImage, type ImageData, openImageData, readImageData } from "./data/download.ts"
export {
  discardLostFile,
  type LostFile,
  listLostFiles,
  listMissingFiles,
  type MissingFile,
} from "./data/lost-files.ts"
export { storeId } from "./data/paths.ts"
export { stageImage, uploadImage } from "./data/upload.ts"
export * from "./faults.ts"
export { deactivateImage, reactivateImage } from "./image/activate.ts"
export { addImage } from "./image/create.ts"
export { deleteImage } from "./image/delete.ts"
export {
  containerFormats,
  diskFormats,
  hiddenProperties,
  type Image,
  imageStatuses,
  type Visibility,
  visibilities,
} from "./image/image.ts"
export {
  type ImageFilter,
  type ImageListInput,
  type ImagePage,
  imageSortKeys,
  listImages,
  showImage,
} from "./image/read.ts"
export { addImageTag, type ImageChange, removeImageTag, updateImage } from "./image/update.ts"
export { type ImportMethod, importImage, importMethods } from "./import/import.ts"
export {
  type BootableImage,
  createImageRecord,
  discardImage,
  findBootableImage,
  type ImageRecord,
  storeImageFile,
} from "./local/boot.ts"
export { removeFromStore, showImageUsage, showStores } from "./local/info.ts"
export { type LocalImage, registerLocalImage } from "./local/register.ts"
export type { Member } from "./member/member.ts"
export {
  addImageMember,
  listImageMembers,
  removeImageMember,
  showImageMember,
  updateImageMember,
} from "./member/share.ts"
export {
  addAssociation,
  listAssociations,
  listResourceTypes,
  removeAssociation,
} from "./metadef/association.ts"
export { metadefObjects, metadefProperties, metadefTags, setMetadefTags } from "./metadef/item.ts"
export type { Association, Item, Namespace, ResourceType } from "./metadef/metadef.ts"
export {
  createNamespace,
  deleteNamespace,
  type ListedNamespace,
  listNamespaces,
  type NamespaceDetail,
  showNamespace,
  updateNamespace,
} from "./metadef/namespace.ts"
export { createImportTask } from "./task/create.ts"
export { listImageTasks, listTasks, showTask, taskSortKeys } from "./task/read.ts"
export type { Task } from "./task/task.ts"
