-- Transfers under way, for the pass that looks for dead ones: few rows, however many images there are.
create index image_transferring on image.image (transfer_id) where transfer_id is not null;
