//! Windows of convolutions and pools: one number for all axes, or one for each.

use super::call::Call;

impl Call<'_, '_> {
    /// Numbers of a window over so many axes; an empty list is `default`.
    ///
    /// # Errors
    /// They are too many or too few, or below `least`.
    pub fn window(
        &self,
        name: &str,
        axes: usize,
        default: Option<&[i64]>,
        least: i64,
    ) -> Result<Vec<i64>, String> {
        let given = self.ints(name)?;
        let window = match (&given[..], default) {
            ([], Some(default)) => default.to_vec(),
            ([one], _) => vec![*one; axes],
            _ => given,
        };
        match window.len() == axes && window.iter().all(|size| *size >= least) {
            true => Ok(window),
            false => Err(format!(
                "`{name}` is one number, or one for each of {axes} axes, of at least {least}"
            )),
        }
    }
}
