//! Floor 2: what is kept. (Placeholder until the journal lands.)
#[derive(Default)]
pub struct ChunkWriter {}
impl ChunkWriter {
    pub fn effect<'a>(&mut self, _db: usize, _args: impl IntoIterator<Item = &'a [u8]>) {}
}
