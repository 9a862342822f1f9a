//! What the sample images show: the colour of each pixel, in whole numbers.

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

/// The colour at `(x, y)` of a picture of the given width and height.
pub(super) type Picture = fn(x: u32, y: u32, width: u32, height: u32) -> Colour;

/// Red grows to the right, green downwards, blue against both.
pub(super) fn gradient(x: u32, y: u32, width: u32, height: u32) -> Colour {
    let red = x * 255 / width.max(2).saturating_sub(1);
    let green = y * 255 / height.max(2).saturating_sub(1);
    [byte(red), byte(green), byte(255 - u32::midpoint(red, green).min(255))]
}

/// The sun sets behind hills, over water. It has an up and a down, so that a wrong orientation is seen at once.
pub(super) fn sunset(x: u32, y: u32, width: u32, height: u32) -> Colour {
    let shore = height * 2 / 3;
    if y >= shore {
        let below = (y - shore) * 255 / (height - shore).max(1);
        let glitter = x.abs_diff(width * 2 / 3) < width / 10 && (y - shore) % 6 < 2;
        return if glitter { [236, 178, 120] } else { mix([96, 84, 124], [14, 22, 52], below) };
    }
    if y + hill(x, width, height) >= shore {
        return [34, 40, 58];
    }
    let radius = (width.min(height) / 8).pow(2);
    let distance = x.abs_diff(width * 2 / 3).pow(2) + y.abs_diff(height * 9 / 20).pow(2);
    if distance <= radius {
        return [255, 240, 184];
    }
    let sky = mix([38, 48, 104], [250, 158, 92], y * 255 / shore.max(1));
    mix([255, 206, 130], sky, (distance * 64 / radius.max(1)).min(255))
}

/// Stripes across stripes, as in a tartan cloth.
pub(super) fn tartan(x: u32, y: u32, _width: u32, _height: u32) -> Colour {
    let warp = stripe(x % 48);
    let weft = stripe(y % 48);
    if (x + y) % 4 < 2 { warp } else { weft }
}

/// A ring's shade, 0 to 127: circles around the centre, `phase` further outwards.
pub(super) fn ripple(x: u32, y: u32, width: u32, height: u32, phase: u32) -> u32 {
    let distance = x.abs_diff(width / 2).pow(2) + y.abs_diff(height / 2).pow(2);
    (distance.isqrt() * 6 + 128 - phase % 128) % 128
}

/// The colour of a ring's shade.
pub(super) fn ripple_colour(shade: u32) -> Colour {
    let height = if shade < 64 { shade * 4 } else { (127 - shade.min(127)) * 4 };
    mix([8, 24, 64], [150, 236, 230], height)
}

/// All pixels, row by row.
pub(super) fn pixels(width: u32, height: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)))
}

fn hill(x: u32, width: u32, height: u32) -> u32 {
    let far = (width / 3).saturating_sub(x.abs_diff(width / 4)) * height / width.max(1) / 2;
    let near = (width / 2).saturating_sub(x.abs_diff(width * 9 / 10)) * height / width.max(1) / 4;
    far.max(near)
}

fn stripe(position: u32) -> Colour {
    match position {
        0..16 => [122, 24, 38],
        16..20 => [236, 214, 150],
        20..40 => [22, 62, 58],
        _ => [18, 22, 44],
    }
}

/// From one colour (`share` 0) to another (255).
fn mix(from: Colour, to: Colour, share: u32) -> Colour {
    let share = share.min(255);
    std::array::from_fn(|i| byte((u32::from(from[i]) * (255 - share) + u32::from(to[i]) * share) / 255))
}

fn byte(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}
