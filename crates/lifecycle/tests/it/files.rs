//! A customer's own files: kept as the web front keeps them, and named in an input by our address.

use bytes::Bytes;
use domain::{AccountId, AssetId, AssetRole, MediaKind};
use lifecycle::Vault;
use store::{AssetStore, NewAsset};

use crate::world::World;

const MEDIA: &str = "https://shop.example/media/";

/// Our address of a file.
pub(crate) fn address(file: AssetId) -> String {
    format!("{MEDIA}{file}/kite.png")
}

/// The file that an address names, if it is one of ours.
pub(crate) fn file_at(address: &str) -> Option<AssetId> {
    address.strip_prefix(MEDIA)?.split('/').next()?.parse().ok()
}

impl World {
    /// An upload that has not begun: the row, the bytes, the mark. It says whether the customer got the address.
    pub(crate) fn uploading(&self, account: AccountId) -> (AssetId, impl Future<Output = bool> + 'static) {
        let (store, cabinet, ids) = (self.store.clone(), self.cabinet.clone(), self.ids().clone());
        let id = AssetId::generate(ids.now(), &*ids.chance);
        let object = format!("{account}/upload/{id}");
        let (job, index, role, kind, source_url) = (None, 0, AssetRole::Upload, MediaKind::Image, None);
        let asset = NewAsset { id, account, job, index, role, kind, source_url, object: object.clone() };
        let uploading = async move {
            if store.add_asset(&asset, ids.now()).await.is_err() {
                return false;
            }
            let bytes = Bytes::from_static(b"kite");
            let Ok(kept) = cabinet.write(&object, "image/png", bytes).await else { return false };
            store.asset_stored(id, None, &kept, ids.now()).await.is_ok()
        };
        (id, uploading)
    }

    pub(crate) async fn upload(&self, account: AccountId) -> AssetId {
        let (id, uploading) = self.uploading(account);
        assert!(uploading.await);
        id
    }
}
