//! Lists of our own, by the names that diskutil uses.

use std::num::NonZeroU64;

use super::{Mounted, place};
use crate::hardware::{Media, Place};

/// A list with these pairs, wrapped as diskutil does.
fn list(pairs: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://example.org/p.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n{pairs}</dict>\n</plist>\n"
    )
}

/// The store's volume on a Mac of Apple's own make.
const STORE: &str = "\
<key>APFSContainerReference</key>
<string>disk3</string>
<key>APFSPhysicalStores</key>
<array>
    <dict>
        <key>APFSPhysicalStore</key>
        <string>disk0s2</string>
    </dict>
</array>
<key>BusProtocol</key>
<string>Apple Fabric</string>
<key>DeviceIdentifier</key>
<string>disk3s7</string>
<key>FileVault</key>
<true/>
<key>FilesystemType</key>
<string>apfs</string>
<key>Fusion</key>
<false/>
<key>MediaName</key>
<string></string>
<key>MountPoint</key>
<string>/nix</string>
<key>SMARTDeviceSpecificKeysMayVaryNotGuaranteed</key>
<dict>
    <key>TotalSize</key>
    <integer>7</integer>
</dict>
<key>SolidState</key>
<true/>
<key>TotalSize</key>
<integer>494384795648</integer>
";

fn look(pairs: &str) -> Place {
    place("/nix/store", None, &list(pairs))
}

/// Names and transports of the disks.
fn disks(place: &Place) -> Option<Vec<(&str, Option<&str>)>> {
    let disks = place.disks.as_ref()?.iter();
    Some(disks.map(|disk| (disk.name.as_str(), disk.transport.as_deref())).collect())
}

#[test]
fn a_volume_of_apfs_is_on_its_physical_store() {
    let store = look(STORE);
    assert_eq!(store.path, "/nix/store");
    assert_eq!(store.mount_point.as_deref(), Some("/nix"));
    assert_eq!(store.filesystem.as_deref(), Some("apfs"));
    assert_eq!(store.size_bytes, NonZeroU64::new(494_384_795_648));
    assert_eq!(store.stack, ["apfs", "filevault"]);
    assert_eq!(disks(&store), Some(vec![("disk0", Some("nvme"))]));
    assert_eq!(store.disks.as_ref().expect("disks")[0].rotational, Some(false));
    assert_eq!(store.media, Media::Nvme);
}

#[test]
fn the_bus_tells_the_transport_and_solid_state_the_medium() {
    let disk = |bus: &str, solid: &str| {
        let place = look(&format!(
            "<key>BusProtocol</key><string>{bus}</string>{solid}\
             <key>DeviceIdentifier</key><string>disk11s2</string>\n"
        ));
        let disks = place.disks.expect("disks");
        assert_eq!((disks.len(), disks[0].name.as_str()), (1, "disk11"), "{bus}");
        (disks[0].transport.clone().unwrap_or_default(), disks[0].rotational, place.media)
    };
    let (yes, no) = ("<key>SolidState</key><true/>", "<key>SolidState</key><false/>");
    let of = |transport: &str, spins, media| (transport.to_owned(), spins, media);
    assert_eq!(disk("PCI-Express", yes), of("nvme", Some(false), Media::Nvme));
    assert_eq!(disk("PCI", yes), of("", Some(false), Media::Ssd), "AHCI, before NVMe");
    assert_eq!(disk("SATA", yes), of("sata", Some(false), Media::Ssd));
    assert_eq!(disk("SATA", no), of("sata", Some(true), Media::Hdd));
    assert_eq!(disk("USB", ""), of("usb", None, Media::Unknown), "macOS cannot see through");
    assert_eq!(disk("Secure Digital", ""), of("mmc", None, Media::Ssd));
}

#[test]
fn what_cannot_be_seen_is_null() {
    let image = look(
        "<key>BusProtocol</key><string>Disk Image</string><key>SolidState</key><true/>\
         <key>DeviceIdentifier</key><string>disk4s1</string>",
    );
    assert_eq!((disks(&image), image.media), (None, Media::Unknown));
    let raid = look(
        "<key>RAIDMaster</key><true/><key>DeviceIdentifier</key><string>disk5</string>\
         <key>SolidState</key><false/>",
    );
    assert_eq!((disks(&raid), raid.media), (None, Media::Hdd));
    let without = STORE.replace("APFSPhysicalStore", "Other");
    assert_eq!(disks(&look(&without)), None, "disk3 is one that APFS made up");
    let error = look(
        "<key>Error</key><true/><key>ErrorMessage</key>\
         <string>Could not find disk: /net</string><key>ExitCode</key><integer>1</integer>",
    );
    assert_eq!((error.mount_point, error.media, error.disks), (None, Media::Unknown, None));
}

#[test]
fn a_fusion_drive_is_as_slow_as_its_slower_half() {
    let second = "<dict><key>APFSPhysicalStore</key><string>disk1s2</string></dict></array>";
    let fusion = STORE
        .replace("</array>", second)
        .replace("<key>Fusion</key>\n<false/>", "<key>Fusion</key>\n<true/>");
    let place = look(&fusion);
    assert_eq!(disks(&place), Some(vec![("disk0", None), ("disk1", None)]));
    assert_eq!(place.media, Media::Hdd);
    assert_eq!(place.stack, ["apfs", "filevault", "fusion"]);
}

#[test]
fn the_kernel_knows_what_has_no_disk() {
    let mounted = |filesystem: &str| Mounted {
        mount_point: "/Volumes/x".to_owned(),
        filesystem: filesystem.to_owned(),
        size_bytes: NonZeroU64::new(1 << 40),
    };
    let share = place("/Volumes/x/store", Some(&mounted("smbfs")), "");
    assert_eq!((share.media, disks(&share)), (Media::Network, Some(Vec::new())));
    assert_eq!(share.size_bytes, NonZeroU64::new(1 << 40));
    assert_eq!(place("/x", Some(&mounted("tmpfs")), "").media, Media::Memory);
    let strange = place("/x", Some(&mounted("macfuse")), "");
    assert_eq!((strange.media, strange.disks), (Media::Unknown, None));
}

#[test]
fn escapes_and_damage() {
    let at = |point: &str| look(&format!("<key>MountPoint</key><string>{point}</string>"));
    let odd = at("/Volumes/A &amp; B &lt;1&gt; &amp;lt;");
    assert_eq!(odd.mount_point.as_deref(), Some("/Volumes/A & B <1> &lt;"));
    let whole = list(STORE);
    for end in 0..whole.len() {
        place("/nix", None, &whole[..end]);
    }
    for text in ["<", "<>", "<key>", "</dict></dict><true/>", "é<é>é", "<key>a</key><string>"] {
        assert_eq!(place("/nix", None, text).disks, None, "{text}");
    }
    let deep = "<dict>".repeat(100_000);
    assert_eq!(place("/nix", None, &deep).disks, None);
    for name in ["disk", "sda1", "disk99999999999999999999999s1", "diské"] {
        look(&format!("<key>DeviceIdentifier</key><string>{name}</string>"));
    }
}
