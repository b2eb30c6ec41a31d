//! Places on Earth, and the distance between them.

use thiserror::Error;

/// A point on Earth in degrees: latitude within ±90, longitude within ±180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    latitude: f64,
    longitude: f64,
}

/// The coordinates are out of range.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("latitude {latitude}, longitude {longitude} is not a place on Earth (±90, ±180)")]
pub struct InvalidCoordinates {
    latitude: f64,
    longitude: f64,
}

impl Coordinates {
    /// # Errors
    /// When the numbers are outside ±90 and ±180, or are not finite.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, InvalidCoordinates> {
        if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
            Ok(Self { latitude, longitude })
        } else {
            Err(InvalidCoordinates { latitude, longitude })
        }
    }

    /// Degrees north of the equator; negative in the south.
    #[must_use]
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east of Greenwich; negative in the west.
    #[must_use]
    pub const fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance in km by the haversine formula (Sinnott, "Virtues of the Haversine", 1984) on a sphere
    /// with the Earth's mean radius. Within 0.5 % of the distance on the ellipsoid.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        const MEAN_RADIUS_KM: f64 = 6371.0088;
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = (lat2 - lat1) / 2.0;
        let half_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
        2.0 * MEAN_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_great_circles() {
        let frankfurt = Coordinates::new(50.11, 8.68).unwrap();
        let sydney = Coordinates::new(-33.87, 151.21).unwrap();
        assert!((frankfurt.distance_km(sydney) - 16_480.0).abs() < 60.0, "{}", frankfurt.distance_km(sydney));
        assert!(frankfurt.distance_km(frankfurt) < 1e-6);
        assert!(Coordinates::new(91.0, 0.0).is_err() && Coordinates::new(f64::NAN, 0.0).is_err());
    }
}
